"""Word error rate of a lip reader on generated frames."""

from collections.abc import Sequence

from thjax.metrics.merging import Ratio


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions of words that turn the reference into the hypothesis."""
    previous = list(range(len(hypothesis) + 1))
    for row, word in enumerate(reference, start=1):
        current = [row]
        for column, heard in enumerate(hypothesis, start=1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (word != heard)))
        previous = current
    return previous[-1]


def wer(reference: Sequence[str], hypothesis: Sequence[str]) -> Ratio:
    """Word error rate of one sentence: word errors over words of the reference.

    Source: the usual definition; per sentence as the public evaluation of LipNet has it (Assael et al. 2016), who take
    the mean over sentences. Adding the ratios of sentences gives the pooled rate; for GRID, with six words in every
    sentence, both agree.

    Args:
        reference: words that were said.
        hypothesis: words that were read.

    Returns:
        The ratio; its value is 0 and up, may exceed 1, lower is better.

    Raises:
        ValueError: no word was said, or a string stands where words should.
    """
    for name, words in (("reference", reference), ("hypothesis", hypothesis)):
        if isinstance(words, str):
            raise ValueError(f"{name} is the string {words!r}; pass a list of words, for example {name}.split()")
    if not reference:
        raise ValueError("the reference has no word, so no rate exists; leave the clip out and count it")
    return Ratio(word_errors(reference, hypothesis), len(reference))
