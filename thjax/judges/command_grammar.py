"""GRID's commands as a decoder reads them: six words, one of each slot, with silence before, between and after.

The best path is Viterbi's (1967), over the words of a slot and the silences between slots.
"""

import numpy as np

from data_pipelines.synthetic.grammar import GRID

WORDS = tuple(word for slot in GRID for word in slot)
"""All 51 words, slot by slot; no word belongs to two slots."""
WORD_INDEX = {word: index for index, word in enumerate(WORDS)}
SILENCE = len(WORDS)
"""The class of frames in which nobody speaks."""
CLASSES = len(WORDS) + 1
SLOT_OF_WORD = np.repeat(np.arange(len(GRID)), [len(slot) for slot in GRID])

# A state is a word, or the silence before a slot, or the silence after the last one.
_SILENCES = len(WORDS) + np.arange(len(GRID) + 1)
_STATE_SLOT = np.concatenate([SLOT_OF_WORD, np.full(len(_SILENCES), -1)])
_EMITS = np.concatenate([np.arange(len(WORDS)), np.full(len(_SILENCES), SILENCE)])


def _costs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log weight, 0 or -inf, of starting in a state [S], of every move [S, S], and of ending in a state [S]."""
    states = len(_EMITS)
    start, moves, end = np.full(states, -np.inf), np.full((states, states), -np.inf), np.full(states, -np.inf)
    np.fill_diagonal(moves, 0)
    for slot in range(len(GRID)):
        words = np.flatnonzero(slot == _STATE_SLOT)
        moves[_SILENCES[slot], words] = 0
        moves[words, _SILENCES[slot + 1]] = 0
        moves[np.ix_(words, np.flatnonzero(slot + 1 == _STATE_SLOT))] = 0
    start[_SILENCES[0]] = start[:len(GRID[0])] = 0
    end[_SILENCES[-1]] = end[len(WORDS) - len(GRID[-1]):len(WORDS)] = 0
    return start, moves, end


_START, _MOVES, _END = _costs()


def decode(log_probabilities: np.ndarray) -> list[tuple[str, ...]]:
    """The most probable command of each clip.

    Args:
        log_probabilities: `[N, T, 52]` of every frame: the words in the order of `WORDS`, then silence.

    Returns:
        N tuples of six words.

    Raises:
        ValueError: another shape, or fewer frames than a command has words.
    """
    if log_probabilities.ndim != 3 or log_probabilities.shape[2] != CLASSES:
        raise ValueError(f"log-probabilities {log_probabilities.shape}: give [N, T, {CLASSES}]")
    clips, frames, _ = log_probabilities.shape
    if frames < len(GRID):
        raise ValueError(f"{frames} frames cannot hold {len(GRID)} words; give at least one frame a word")
    emission = log_probabilities[:, :, _EMITS].astype(np.float64)
    score, origins = emission[:, 0] + _START, []
    for frame in range(1, frames):
        reached = score[:, :, None] + _MOVES
        origins.append(reached.argmax(axis=1))
        score = reached.max(axis=1) + emission[:, frame]
    path = [(score + _END).argmax(axis=1)]
    for origin in reversed(origins):
        path.append(origin[np.arange(clips), path[-1]])
    visited = np.stack(path, axis=1)
    chosen = [np.where(_STATE_SLOT[visited] == slot, visited, -1).max(axis=1) for slot in range(len(GRID))]
    return [tuple(WORDS[word] for word in words) for words in np.stack(chosen, axis=1)]


def frame_classes(words: np.ndarray, times: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """The class of every frame.

    Args:
        words: `[N, 6]` str.
        times: `[N, 6, 2]` start and end of each word, seconds.
        moments: `[T]` seconds, what each frame shows.

    Returns:
        int32 `[N, T]`, as in `decode`; where words overlap, the later one.
    """
    classes = np.full((len(words), len(moments)), SILENCE, np.int32)
    indices = np.vectorize(WORD_INDEX.__getitem__, otypes=[np.int32])(words)
    for slot in range(words.shape[1]):
        inside = (moments >= times[:, slot, :1]) & (moments < times[:, slot, 1:])
        classes = np.where(inside, indices[:, slot, None], classes)
    return classes
