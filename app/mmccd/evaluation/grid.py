"""A table of texts, for Markdown and for LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BOOKTABS = "% needs \\usepackage{booktabs}"
_ESCAPED = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    "|": "\\textbar{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


@dataclass(frozen=True)
class Grid:
    """Texts in rows and columns.

    Attributes:
        header: names of the columns.
        rows: a text for each column.
        caption: what the table shows.
        texts: so many columns from the left hold words, the others figures.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    texts: int = 1

    def markdown(self) -> str:
        """With pipes."""
        lines = [self.header, *self.rows]
        head, *rest = [f"| {' | '.join(_piped(cell) for cell in line)} |" for line in lines]
        return "\n".join([head, "|---" * len(self.header) + "|", *rest]) + "\n"

    def latex(self, label: str) -> str:
        """A ``table`` with the rules of the package booktabs; everything in it is escaped.

        Args:
            label: of the table, for ``\\ref``.
        """
        columns = "l" * self.texts + "r" * (len(self.header) - self.texts)
        return "\n".join(
            [
                "\\begin{table}",
                f"\\caption{{{escape(self.caption)}}}",
                f"\\label{{{label}}}",
                f"\\begin{{tabular}}{{{columns}}}",
                "\\toprule",
                _latex_line(self.header),
                "\\midrule",
                *(_latex_line(row) for row in self.rows),
                "\\bottomrule",
                "\\end{tabular}",
                "\\end{table}",
                "",
            ]
        )


def escape(text: str) -> str:
    """A text that LaTeX sets as it stands."""
    return "".join(_ESCAPED.get(letter, letter) for letter in text)


def _latex_line(cells: Sequence[str]) -> str:
    # An interval at the start of a row would be read as the argument of the line break above it.
    return (
        " & ".join(f"{{{cell}}}" if cell.startswith("[") else cell for cell in map(escape, cells))
        + " \\\\"
    )


def _piped(cell: str) -> str:
    return cell.replace("|", "\\|")
