"""Commands whose options are given once: a second one is an error, where the parser would drop the first."""

from __future__ import annotations

from collections import Counter

from typer import Context
from typer.core import TyperCommand

from mvnet.apps.common.errors import UserError


class Command(TyperCommand):
    """A command that refuses an option given twice, unless the option takes several values."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """The parser's own, after the count. UserError: an option given more than once."""
        if not ctx.resilient_parsing:  # of a shell that completes a word
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for parameter, times in Counter(order).items():
                if times > 1 and parameter.param_type_name == "option" and not getattr(parameter, "multiple", False):
                    name = max(parameter.opts, key=len)
                    raise UserError(f"{name}: found it {times} times, expected it once")
        return super().parse_args(ctx, args)
