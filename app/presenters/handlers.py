"""What every action of the window does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from braggscope.app.shell.docks import WORKSPACES

if TYPE_CHECKING:
    from braggscope.app.composition import Program

Table = dict[str, Callable[[], object]]


class Handlers:
    """Joins the keys of :data:`braggscope.app.shell.actions.ACTIONS` with the presenters."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def table(self) -> Table:
        """Handlers by the key of their action."""
        parts = self._file, self._peak, self._frame, self._view, self._mask, self._strain
        return {key: handler for part in parts for key, handler in part().items()}

    def _strain(self) -> Table:
        strain = self._program.strain
        ways = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
        return {
            "measure_scan": strain.runs.run,
            "cancel_scan": strain.runs.cancel,
            "draw_reference": lambda: strain.scan.tool("reference"),
            "draw_probe_region": lambda: strain.scan.tool("probe"),
            **{f"pan_{name}": partial(strain.scan.pan, *way) for name, way in ways.items()},
        }

    def _file(self) -> Table:
        program = self._program
        exports, sessions, store = program.exports, program.sessions, program.store
        clipboard = program.clipboard
        return {
            "open_file": program.sources.ask_file,
            "open_folder": program.sources.ask_folder,
            "open_batch": program.watching.ask,
            "open_demo": program.sources.open_demo,
            "open_demo_scan": program.strain.open_demo,
            "open_demo_coherent": program.coherent.open_demo,
            "prepare_volume": program.coherent.prepare,
            "phase_volume": program.coherent.run.start,
            "choose_dataset": program.sources.choose_dataset,
            "open_session": sessions.ask_open,
            "save_session": sessions.ask_save,
            "close_source": program.sources.close_source,
            "export": lambda: program.store.update(workspace="export"),
            "export_table": exports.ask_table,
            "export_tracks": program.tracks.ask_export,
            "export_movie": exports.ask_movie,
            "export_strain": program.strain.runs.ask_export,
            "save_picture": exports.ask_picture,
            "preferences": program.preferences.ask,
            "quit": program.window.close,
            "undo": store.undo,
            "redo": store.redo,
            "copy_python": lambda: clipboard.copy("python"),
            "copy_command": lambda: clipboard.copy("command"),
            "copy_parameters": lambda: clipboard.copy("json"),
            "paste_parameters": clipboard.paste_parameters,
            "palette": lambda: program.window.palette_overlay.popup(program.window.commands()),
            "help": lambda: program.window.help_overlay.popup(program.window.help_entries()),
            "error_report": program.copy_report,
            "about": program.about,
        }

    def _peak(self) -> Table:
        program = self._program
        peaks, runs = program.peaks, program.runs

        def localize() -> dict[str, object]:
            return dict(program.store.state.parameters.localize)

        def swap(name: str, one: object, other: object) -> Callable[[], object]:
            return lambda: peaks.localize(**{name: other if localize()[name] == one else one})

        return {
            "reject": peaks.toggle_reject,
            "next_peak": lambda: peaks.step(1),
            "previous_peak": lambda: peaks.step(-1),
            "centre_peak": peaks.centre,
            "suggest": peaks.suggest,
            "minval_down": lambda: peaks.nudge("minval", False),
            "minval_up": lambda: peaks.nudge("minval", True),
            "minscore_down": lambda: peaks.nudge("minscore", False),
            "minscore_up": lambda: peaks.nudge("minscore", True),
            "model_gaussian": lambda: peaks.localize(model="gaussian"),
            "model_pseudovoigt": lambda: peaks.localize(model="pseudovoigt"),
            "noise_poisson": swap("noise", "uniform", "poisson"),
            "constant_background": swap("background", "auto", "constant"),
            "window_auto": swap("window", "auto", 11),
            **{f"window_{side}": swap("window", side, "auto") for side in (11, 15, 21)},
            "patch_thresholded": swap("patch", "raw", "thresholded"),
            "compare_list": runs.agreement.ask_list,
            "load_weights": peaks.ask_weights,
            "shipped_weights": lambda: peaks.localize(braggnn="braggnn"),
            "load_net_weights": lambda: peaks.ask_weights("net", "network"),
            "shipped_net_weights": lambda: peaks.localize(net="net"),
            "fine_tune": program.training.show,
            "split_track": program.tracks.hand.split,
            "join_tracks": program.tracks.hand.join,
            "delete_tracks": program.tracks.hand.delete,
            "rename_track": program.tracks.hand.edit_name,
            "run_series": runs.run,
            "cancel_run": runs.cancel,
            "add_set": runs.add_set,
            "remove_set": runs.remove_set,
        }

    def _frame(self) -> Table:
        program = self._program
        play = program.playback
        return {
            "next_frame": lambda: play.step(1),
            "previous_frame": lambda: play.step(-1),
            "forward_10": lambda: play.step(10),
            "back_10": lambda: play.step(-10),
            "first_frame": lambda: play.go_to(0),
            "last_frame": lambda: play.go_to(play.count - 1),
            "play": play.toggle,
            "refresh": program.following.refresh,
            "follow": lambda: program.store.update(follow=not program.store.state.follow),
        }

    def _view(self) -> Table:
        program = self._program
        frames, window = program.frames, program.window

        def toggle(name: str) -> Callable[[], object]:
            return lambda: program.change_display(**{name: not getattr(program.store.state.display, name)})

        def workspace(name: str) -> Callable[[], object]:
            return lambda: program.store.update(workspace=name)

        def log_scale() -> None:
            program.change_display(scale="linear" if program.store.state.display.scale == "log" else "log")

        return {
            "auto_levels": frames.auto_levels,
            "log_scale": log_scale,
            "show_peaks": toggle("show_peaks"),
            "show_mask": toggle("show_mask"),
            "show_background": toggle("show_background"),
            "show_rings": program.instrument.toggle_rings,
            "zoom_fit": window.frame_view.zoom_to_fit,
            "zoom_one": window.frame_view.zoom_one_to_one,
            "line_profile": lambda: window.frame_view.set_tool("line"),
            "radial_profile": program.preparation.radial,
            **{f"{name}_workspace": workspace(name) for name in WORKSPACES},
            "simulation_bench": program.bench.show,
            "reset_layout": window.reset_layout,
            "theme": program.preferences.switch_theme,
        }

    def _mask(self) -> Table:
        program = self._program
        preparation = program.preparation
        return {
            "mask_rectangle": lambda: preparation.tool("rectangle", "mask"),
            "mask_ellipse": lambda: preparation.tool("ellipse", "mask"),
            "mask_polygon": lambda: preparation.tool("polygon", "mask"),
            "region_rectangle": lambda: preparation.tool("rectangle", "region"),
            "clear_shapes": preparation.clear_shapes,
            "save_mask": preparation.ask_save_mask,
            "load_mask": lambda: preparation.ask_file("mask_file"),
        }
