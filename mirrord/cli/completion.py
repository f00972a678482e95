"""`mirrord completion`: the script that makes a shell complete commands, options and values."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_MIRRORD_COMPLETE"
"""click's name for it: with this variable, `mirrord` prints what the shell may offer."""


@click.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the script that makes SHELL (bash, zsh or fish) complete commands, options, entries, keys and stores.

    \b
      eval "$(mirrord completion bash)"         in ~/.bashrc
      eval "$(mirrord completion zsh)"          in ~/.zshrc, after compinit
      mirrord completion fish | source          in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root().command
    click.echo(kind(root, {}, "mirrord", _VARIABLE).source())
    return 0
