"""`python -m mirrord`."""


def main() -> None: ...
