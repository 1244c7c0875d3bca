"""Beam search over the outputs of CTC (Graves and Jaitly 2014): the likeliest labels, not the likeliest path."""

import numpy as np

_FLOOR = 1e-8
"""Added to probabilities before the logarithm, as Keras does."""


def beam_search(probabilities: np.ndarray, blank: int, width: int = 200) -> list[tuple[tuple[int, ...], float]]:
    """Prefix beam search.

    A prefix carries two probabilities: of the paths that end in a blank, and of those that end in its last label. A
    path may reach a prefix by repeating its last label, by a blank, or from the prefix that is one label shorter.

    Args:
        probabilities: [T, K] of one clip.
        blank: index of CTC's blank.
        width: prefixes kept after every frame.

    Returns:
        Up to `width` (labels, natural logarithm of their probability), the likeliest first.

    Raises:
        ValueError: not two axes, or a blank that is no label.
    """
    if probabilities.ndim != 2 or not 0 <= blank < probabilities.shape[1]:
        raise ValueError(f"probabilities {probabilities.shape} with blank {blank}: give [T, K] and a blank below K")
    scores = np.log(probabilities.astype(np.float64) + _FLOOR)
    scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
    prefixes: list[tuple[int, ...]] = [()]
    ends_blank, ends_label = np.zeros(1), np.full(1, -np.inf)
    for frame in scores:
        prefixes, ends_blank, ends_label = _step(frame, blank, width, prefixes, ends_blank, ends_label)
    total = np.logaddexp(ends_blank, ends_label)
    return [(prefixes[i], float(total[i])) for i in np.argsort(-total, kind="stable")]


def _step(frame, blank, width, prefixes, ends_blank, ends_label):
    """The beam after one more frame."""
    total = np.logaddexp(ends_blank, ends_label)
    last = np.array([prefix[-1] if prefix else blank for prefix in prefixes])
    rows = np.arange(len(prefixes))
    longer = total[:, None] + frame  # [prefixes, labels]: each label behind each prefix
    # A repeated label only begins anew behind a blank; without one it prolongs the prefix as it is.
    longer[rows, last] = ends_blank + frame[last]
    longer[:, blank] = -np.inf
    stay_blank = total + frame[blank]
    stay_label = np.where(last == blank, -np.inf, ends_label + frame[last])
    index = {prefix: i for i, prefix in enumerate(prefixes)}
    for i, prefix in enumerate(prefixes):
        parent = index.get(prefix[:-1]) if prefix else None
        if parent is not None:
            stay_label[i] = np.logaddexp(stay_label[i], longer[parent, prefix[-1]])
            longer[parent, prefix[-1]] = -np.inf
    scores = np.concatenate([np.logaddexp(stay_blank, stay_label), longer.ravel()])
    best = np.argsort(-scores, kind="stable")[:width]
    best = best[np.isfinite(scores[best])]
    kept, blanks, labels = [], [], []
    for at in best:
        if at < len(prefixes):
            kept.append(prefixes[at])
            blanks.append(stay_blank[at])
            labels.append(stay_label[at])
        else:
            parent, label = divmod(int(at) - len(prefixes), len(frame))
            kept.append((*prefixes[parent], label))
            blanks.append(-np.inf)
            labels.append(longer[parent, label])
    return kept, np.array(blanks), np.array(labels)
