import numpy as np
import pytest

from microgpt.data.token_dataset import TokenDataset

DOCS = [[4, 0, 4], [4, 1, 2, 4], [4, 4], [4, 3, 4]]
MASKS = [b"\1\1\0", b"\1\0\1\1", b"\1\1", b"\1\0\1"]


def dataset(*, is_masked: bool, is_soft: bool) -> TokenDataset:
    made = TokenDataset()
    for doc, mask in zip(DOCS, MASKS, strict=True):
        made.append(doc, mask if is_masked else None)
    if is_soft:
        made.soft_targets = np.arange(16, dtype=np.float32).reshape(8, 2)
    return made


def test_targets_are_the_next_tokens_or_the_given_distributions() -> None:
    assert list(dataset(is_masked=False, is_soft=False).targets_of(1)) == [1, 2, 4]
    assert dataset(is_masked=True, is_soft=False).targets_of(1) == [None, 2, 4]
    assert dataset(is_masked=False, is_soft=True).targets_of(1) == [[4, 5], [6, 7], [8, 9]]
    assert dataset(is_masked=True, is_soft=True).targets_of(3) == [None, [14, 15]]


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("is_soft", [False, True])
def test_a_slice_of_a_dataset_keeps_masks_and_targets(is_masked, is_soft) -> None:
    whole = dataset(is_masked=is_masked, is_soft=is_soft)
    for first in range(5):
        for end in range(first, 5):
            part = whole[first:end]
            assert [list(doc) for doc in part] == DOCS[first:end]
            for i in range(len(part)):
                assert part.mask_of(i) == whole.mask_of(first + i)
                assert list(part.targets_of(i)) == list(whole.targets_of(first + i))
