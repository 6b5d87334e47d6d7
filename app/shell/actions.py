"""Every action of the window as data: menus, keys, tool bar and palette are made from this table."""

from typing import NamedTuple


class Action(NamedTuple):
    """``key`` names the handler; ``needs``: "frames" an open source, "peak" a selected peak, "" nothing."""

    key: str
    title: str
    menu: str
    shortcuts: tuple[str, ...] = ()
    icon: str = ""
    needs: str = ""
    checkable: bool = False


ACTIONS: tuple[Action, ...] = (
    Action("open_file", "Open file…", "File", ("Ctrl+O",), "open"),
    Action("open_folder", "Open folder…", "File", ("Ctrl+Shift+O",), "folder"),
    Action("choose_dataset", "Choose dataset…", "File", (), "", "frames"),
    Action("open_batch", "Open a running or finished batch…", "File"),
    Action("open_demo", "Open demo series", "File"),
    Action("open_session", "Open session…", "File"),
    Action("save_session", "Save session as…", "File", ("Ctrl+S",)),
    Action("export", "Export workspace", "File", ("Ctrl+E",), "export"),
    Action("export_table", "Export peak table…", "File", (), "table", "frames"),
    Action("export_movie", "Export movie…", "File", (), "film", "frames"),
    Action("save_picture", "Save picture of the frame…", "File", (), "camera", "frames"),
    Action("close_source", "Close file", "File", ("Ctrl+W",), "", "frames"),
    Action("preferences", "Preferences…", "File", ("Ctrl+,",), "settings"),
    Action("quit", "Quit", "File", ("Ctrl+Q",)),
    Action("undo", "Undo", "Edit", ("Ctrl+Z",), "undo"),
    Action("redo", "Redo", "Edit", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo"),
    Action("copy_python", "Copy as Python", "Edit", (), "copy", "frames"),
    Action("copy_command", "Copy as command line", "Edit", (), "copy", "frames"),
    Action("copy_parameters", "Copy parameters as JSON", "Edit", (), "copy"),
    Action("paste_parameters", "Paste parameters from JSON", "Edit"),
    Action("reject", "Reject peak", "Peaks", ("Del",), "", "peak"),
    Action("next_peak", "Next peak", "Peaks", ("N",), "", "frames"),
    Action("previous_peak", "Previous peak", "Peaks", ("Shift+N",), "", "frames"),
    Action("centre_peak", "Centre on peak", "Peaks", ("C",), "", "peak"),
    Action("suggest", "Suggest thresholds", "Peaks", ("T",), "", "frames"),
    Action("minval_down", "Lower minval", "Peaks", ("[",), "", "frames"),
    Action("minval_up", "Raise minval", "Peaks", ("]",), "", "frames"),
    Action("minscore_down", "Lower minscore", "Peaks", (";",), "", "frames"),
    Action("minscore_up", "Raise minscore", "Peaks", ("'",), "", "frames"),
    Action("model_gaussian", "Fit Gaussians", "Peaks", (), "", "frames"),
    Action("model_pseudovoigt", "Fit pseudo-Voigts", "Peaks", (), "", "frames"),
    Action("noise_poisson", "Weight by counting statistics", "Peaks", (), "", "frames", True),
    Action("constant_background", "Constant background under fits", "Peaks", (), "", "frames", True),
    Action("window_auto", "Windows by size of the peak", "Peaks", (), "", "frames", True),
    Action("window_11", "Windows of 11 px", "Peaks", (), "", "frames", True),
    Action("window_15", "Windows of 15 px", "Peaks", (), "", "frames", True),
    Action("window_21", "Windows of 21 px", "Peaks", (), "", "frames", True),
    Action("patch_thresholded", "BraggNN sees thresholded patches", "Peaks", (), "", "frames", True),
    Action("compare_list", "Compare with a peak list…", "Peaks", (), "", "frames"),
    Action("load_weights", "Load BraggNN weights…", "Peaks"),
    Action("shipped_weights", "Use shipped BraggNN weights", "Peaks"),
    Action("fine_tune", "Fine-tune network…", "Peaks"),
    Action("next_frame", "Next frame", "Frames", ("Right",), "step_forward", "frames"),
    Action("previous_frame", "Previous frame", "Frames", ("Left",), "step_back", "frames"),
    Action("forward_10", "10 frames on", "Frames", ("Shift+Right",), "", "frames"),
    Action("back_10", "10 frames back", "Frames", ("Shift+Left",), "", "frames"),
    Action("first_frame", "First frame", "Frames", ("Home",), "first", "frames"),
    Action("last_frame", "Last frame", "Frames", ("End",), "last", "frames"),
    Action("play", "Play or pause", "Frames", ("Space",), "play", "frames"),
    Action("refresh", "Look for new frames", "Frames", ("F5",), "", "frames"),
    Action("follow", "Follow a growing file", "Frames", ("Shift+F5",), "follow", "frames", True),
    Action("auto_levels", "Auto contrast", "View", ("A",), "contrast", "frames"),
    Action("log_scale", "Logarithmic scale", "View", ("L",), "", "frames", True),
    Action("show_peaks", "Show peaks", "View", ("P",), "peaks", "", True),
    Action("show_mask", "Show mask", "View", ("M",), "mask", "", True),
    Action("show_rings", "Show rings", "View", ("R",), "", "frames", True),
    Action("show_background", "Show background", "View", ("B",), "", "frames", True),
    Action("zoom_fit", "Zoom to fit", "View", ("F",), "", "frames"),
    Action("zoom_one", "Zoom to 1:1", "View", ("1",), "", "frames"),
    Action("line_profile", "Line profile", "View", (), "line", "frames"),
    Action("radial_profile", "Radial profile", "View", (), "", "frames"),
    Action("series_workspace", "Series workspace", "View", ("Ctrl+1",)),
    Action("tracks_workspace", "Tracks workspace", "View", ("Ctrl+2",)),
    Action("accuracy_workspace", "Accuracy workspace", "View", ("Ctrl+3",)),
    Action("export_workspace", "Export workspace", "View", ("Ctrl+4",)),
    Action("simulation_bench", "Simulation bench…", "View"),
    Action("reset_layout", "Reset layout", "View"),
    Action("theme", "Switch light and dark", "View"),
    Action("run_series", "Analyse whole series", "Run", ("Ctrl+R",), "", "frames"),
    Action("cancel_run", "Cancel analysis", "Run", ("Ctrl+.",)),
    Action("add_set", "Add parameter set", "Run", (), "add", "frames"),
    Action("remove_set", "Remove parameter set", "Run", (), "remove", "frames"),
    Action("mask_rectangle", "Mask a rectangle", "Mask", (), "rectangle", "frames"),
    Action("mask_ellipse", "Mask an ellipse", "Mask", (), "ellipse", "frames"),
    Action("mask_polygon", "Mask a polygon", "Mask", (), "polygon", "frames"),
    Action("region_rectangle", "Search only in a rectangle", "Mask", (), "rectangle", "frames"),
    Action("clear_shapes", "Remove drawn shapes", "Mask", (), "eraser", "frames"),
    Action("save_mask", "Save mask…", "Mask", (), "", "frames"),
    Action("load_mask", "Load mask…", "Mask", (), "", "frames"),
    Action("palette", "Command palette", "Help", ("Ctrl+Shift+P",), "palette"),
    Action("help", "Keys and help", "Help", ("?", "F1"), "help"),
    Action("error_report", "Copy error report", "Help"),
    Action("about", "About Braggscope", "Help"),
)
GESTURES: tuple[tuple[str, str, str], ...] = (  # title, gesture, section: shown in the help only
    ("Hide the marks while held", "H", "View"),
    ("Zoom at the cursor", "Wheel", "View"),
    ("Move the frame", "Drag", "View"),
    ("Select the nearest peak", "Click", "Peaks"),
    ("Scrub", "Drag the timeline", "Frames"),
)
MENUS = ("File", "Edit", "View", "Frames", "Peaks", "Mask", "Run", "Help")
