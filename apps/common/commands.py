"""Commands whose options are given once: a second one is an error, where the parser would drop the first. An option
whose value was forgotten does not take the next option for it. What cannot work in the end is found at once: names that
are no text, a stdout that is full or closed."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import Any

from typer import Context
from typer.core import TyperCommand

from mvnet.apps.common.errors import UserError
from mvnet.apps.common.stdout import check_stdout
from mvnet.ranks import launched_rank, require_one_process
from mvnet.storage.names import check_text


class Command(TyperCommand):
    """A command that refuses an option given twice, unless the option takes several values, and one without its value.

    alone: whether one process runs it; another of the same launch would do the same work in the same folder.
    """

    alone = True

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """The parser's own, after the count. UserError: an option given twice, or with another for its value."""
        if not ctx.resilient_parsing:  # of a shell that completes a word
            given, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for parameter, times in Counter(order).items():
                if times > 1 and parameter.param_type_name == "option" and not getattr(parameter, "multiple", False):
                    name = max(parameter.opts, key=len)
                    raise UserError(f"{name}: found it {times} times, expected it once")
                if parameter.param_type_name == "option":
                    _check_value(max(parameter.opts, key=len), given.get(parameter.name or ""))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Context) -> Any:
        """The command. UserError: a name that is not UTF-8, or a stdout that cannot be written to."""
        for name, value in ctx.params.items():
            for part in value if isinstance(value, list | tuple) else [value]:
                if isinstance(part, str | PurePath):
                    check_text(part, name)
        if self.alone:
            require_one_process()
        elif launched_rank() > 0:
            ctx.params["quiet"] = True
        if ctx.params.get("as_json") or not ctx.params.get("quiet"):
            check_stdout()
        return super().invoke(ctx)


def _check_value(option: str, value: Any) -> None:
    """UserError: a value that looks like an option, as of `--report --overwrite`."""
    for part in value if isinstance(value, list | tuple) else [value]:
        if isinstance(part, str) and part.startswith("--"):
            raise UserError(f"{option}: found {part} as its value, expected one (a file of that name is ./{part})")


class SharedCommand(Command):
    """A command that `torchrun` may run in several processes; the first one speaks."""

    alone = False
