import pytest

from footprint.sources.generic import node_lists


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-4,7]", ["n1", "n2", "n3", "n4", "n7"]),
        ("n[008-010]", ["n008", "n009", "n010"]),
        ("n[1-9/4],gpu2", ["gpu2", "n1", "n5", "n9"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("n1 n2", ["n1", "n2"]),
        ("n1:n2", ["n1", "n2"]),
        ("n1.cluster.org", ["n1"]),
        ("n1,n1", ["n1"]),
    ],
)
def test_expand_list_without_slots_gives_names(text: str, names: list[str]) -> None:
    assert node_lists.expand(text) == tuple(node_lists.HeldNode(name) for name in names)


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("48*n051:4*n114", {"n051": 48, "n114": 4}),
        ("48*n051 4*n114", {"n051": 48, "n114": 4}),
        ("24*n051:24*n051", {"n051": 48}),
        ("n051:4*n114", {"n051": 1, "n114": 4}),
        ("n051/0*48+n114/0*4", {"n051": 48, "n114": 4}),
        ("n051/0+n051/1+n114/7", {"n051": 2, "n114": 1}),
    ],
)
def test_expand_list_with_slots_gives_their_number(text: str, slots: dict[str, int]) -> None:
    assert dict(node_lists.expand(text)) == slots


@pytest.mark.parametrize(
    "text", ["", " ", "n[1-", "@all", "n[1-99999999999]", "a;b", "n 1*", "n&m", "n*"]
)
def test_expand_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"list|name|nodes"):
        node_lists.expand(text)
