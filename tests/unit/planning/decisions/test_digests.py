"""Lists of digests: the forms of coreutils and BSD, and a single digest; the names in them."""

import pytest

from mirrord.planning.decisions.digests import sha256_for

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    "text",
    [
        A,
        f"{A.upper()}\n",
        f"\ufeff{A}\r\n",
        f"sha256:{A}\n",
        f"{A}  x.tar\n",
        f"{A} *x.tar\n",
        f"{A}\tx.tar",
        f"{B}  y.tar\n{A}  x.tar\r\n{B}  x.tar.sig\n",
        f"{A}  ./x.tar\n{B}  old/x.tar\n",  # the whole name wins
        f"{A}  releases/1.0/x.tar\n",
        f"SHA256 (x.tar) = {A}\nSHA256 (y.tar) = {B}\n",
        f"SHA256(x.tar)= {A}\n",  # openssl dgst
        f"MD5 (x.tar) = {'c' * 32}\nSHA256 (x.tar) = {A}\nSHA512 (x.tar) = {'d' * 128}\n",
        f"{'c' * 32}  x.tar\n{A}  x.tar\n{'d' * 128}  x.tar\n",
        f"# digests\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{A}  x.tar\n-----END PGP SIGNATURE-----\n",
        f"{A}  x.tar\n{A}  again/x.tar\n",
    ],
)
def test_the_digest_of_a_name(text: str) -> None:
    assert sha256_for("x.tar", text) == A


def test_an_escaped_name_is_read_as_coreutils_wrote_it() -> None:
    assert sha256_for("a\nb\\c", f"\\{A}  a\\nb\\\\c\n{B}  a\\nb\\\\c\n") == A
    assert sha256_for(r"a\nb", f"{A}  a\\nb\n") == A  # without the mark a backslash is a backslash


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no sha256 of x.tar"),
        ("<html>404</html>", "names no sha256 of x.tar"),
        (f"{A}  y.tar\n", "names no sha256 of x.tar"),
        (f"{A}  not-x.tar\n", "names no sha256 of x.tar"),
        (f"{'c' * 32}  x.tar\n", "names no sha256 of x.tar"),
        (f"{A[:-1]}  x.tar\n", "names no sha256 of x.tar"),
        (f"{A}  one/x.tar\n{B}  two/x.tar\n", "names 2 different digests of x.tar"),
        (f"{A}  x.tar\n{B}  x.tar\n{'c' * 64}  x.tar\n", "names many different digests of x.tar"),
        (f"{A}\n{B}\n", "names 2 different digests of x.tar"),
        (f"{A}\n{B}  y.tar\n", "names no sha256 of x.tar"),  # a list is no single digest
    ],
)
def test_a_list_without_one_digest_for_the_name_is_an_error(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sha256_for("x.tar", text)
