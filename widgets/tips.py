"""Tooltips with text that is not the program's own."""

import html


def as_written(text: str) -> str:
    """A tooltip that shows a text from a file letter by letter; Qt takes what looks like HTML for it."""
    if "<" not in text and "&" not in text:
        return text
    return f'<p style="white-space: pre-wrap">{html.escape(text)}</p>'
