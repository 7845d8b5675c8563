"""The short way through Signature-Input reads nothing that the parser would read otherwise."""

from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import Denied
from signet.handshake.proof import _any_input, _usual_input

NAMES = st.sampled_from(["@method", "@path", "content-digest", "x-0", "@", "-"])
VALUES = st.one_of(
    st.integers(-(10**16), 10**16).map(str),
    st.sampled_from(["", "a", "0", "A.b_c:+/=@-", "a;b", "a b", 'a"b', "a\\\\b", "ü"]).map(
        lambda text: f'"{text}"'
    ),
    st.sampled_from(["token", ":AA==:", "?1", "1.5", "01", "-0", "+1"]),
)
PARAMETERS = st.lists(st.tuples(st.sampled_from(["created", "nonce", "alg", "x"]), VALUES), max_size=5)


@st.composite
def fields(draw: st.DrawFn) -> str:
    names = " ".join(f'"{name}"' for name in draw(st.lists(NAMES, max_size=4)))
    parameters = "".join(f";{name}={value}" for name, value in draw(PARAMETERS))
    field = f"pch=({names}){parameters}"
    position = draw(st.integers(0, len(field)))
    return (
        field[:position]
        + draw(st.sampled_from(["", "", "", " ", ";", '"', "(", ",", "\n", "0"]))
        + field[position:]
    )


@given(fields())
def test_what_the_pattern_reads_the_parser_reads_alike(field: str) -> None:
    usual = _usual_input(field)
    if usual is None:
        return
    try:
        expected = _any_input(field)
    except Denied as refusal:
        raise AssertionError(f"the parser refuses what the pattern reads: {refusal}") from refusal
    assert usual == expected
    assert [type(value) for value in usual[1].values()] == [type(value) for value in expected[1].values()]


def test_what_clients_send_takes_the_short_way() -> None:
    field = (
        'pch=("@method" "@authority" "content-digest");created=1795392000;expires=1795392060;nonce="AQ-_";'
        'keyid="caller-1";alg="ed25519+ml-dsa-65";tag="pch-lite"'
    )
    components, parameters = _usual_input(field) or ([], {})
    assert components == ["@method", "@authority", "content-digest"]
    assert parameters == {
        "created": 1795392000,
        "expires": 1795392060,
        "nonce": "AQ-_",
        "keyid": "caller-1",
        "alg": "ed25519+ml-dsa-65",
        "tag": "pch-lite",
    }
