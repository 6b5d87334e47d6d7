"""A window of 1280 x 800 px: whatever scrolls downwards only shows all of its width, in every workspace."""

from stage import settle, until

from braggscope.app.shell.docks import WORKSPACES
from braggscope.widgets.section import SectionPage

SIZE = (1280, 800)


def cut(window):
    """Pages on screen whose right side is out of sight, with their widths and what is seen of them."""
    pages = [page for page in window.findChildren(SectionPage) if not page.visibleRegion().isEmpty()]
    return [
        (type(page.parentWidget()).__name__, page.page.width(), page.viewport().width())
        for page in pages
        if page.page.width() > page.viewport().width()
    ]


def test_nothing_is_cut_on_the_right(launch, series):
    program = launch(series)
    until(lambda: program.desk.picture is not None, "the frame")
    program.window.resize(*SIZE)
    until(lambda: program.window.width() == SIZE[0], "the size")
    for workspace, plan in WORKSPACES.items():
        program.program.trigger(f"{workspace}_workspace")
        settle(0.2)
        assert cut(program.window) == [], workspace
        for group in (*plan.left, *plan.right, *plan.bottom):
            for key in group.keys[1:]:
                program.window.show_panel(key)
                settle(0.05)
                assert cut(program.window) == [], (workspace, key)
        assert (program.window.width(), program.window.height()) == SIZE, workspace
