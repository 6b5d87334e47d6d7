"""The command line: the contract of what can be run without a window. Imports no Qt."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from braggscope.app.errors import sentence
from braggscope.app.version import VERSION

Opener = Callable[[list[str]], int]  # opens the window on some locations; returns the exit code
COMMANDS = ("demo", "info", "peaks", "tracks", "movie", "strain", "phase", "train")
INTERRUPTED = 130
FAILED = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


class UsageError(Exception):
    """The arguments are not usable."""


def main(arguments: Sequence[str], open_window: Opener) -> int:
    """Run a command, or open the window where the first word is none. Returns the exit code."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"] + ["--debug"] * debug
    try:
        if words and words[0] in COMMANDS:
            code = _run(command_parser().parse_args(words), open_window)
        else:
            code = open_window(_window_parser().parse_args(words).files)
        sys.stdout.flush()
    except KeyboardInterrupt:
        resumable = bool(arguments) and arguments[0] in ("peaks", "strain", "train")
        print("Interrupted; --resume goes on from here." if resumable else "Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        _mute()
        return 0
    except Exception as error:
        if debug:
            raise
        print(f"braggscope: {sentence(error)}", file=sys.stderr)
        return FAILED
    return code


def _mute() -> None:
    """Nobody listens any more: what is still buffered goes nowhere, silently."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _run(options: argparse.Namespace, open_window: Opener) -> int:
    from braggscope.app import (
        commands,
        peaks_command,
        phase_command,
        strain_command,
        tracks_command,
        train_command,
    )

    logging.basicConfig(stream=sys.stderr)
    logging.getLogger("braggscope").setLevel(logging.DEBUG if options.debug else logging.ERROR)
    run = {
        "demo": commands.demo,
        "info": commands.info,
        "peaks": peaks_command.peaks,
        "tracks": tracks_command.tracks,
        "movie": commands.movie,
        "strain": strain_command.strain,
        "phase": phase_command.phase,
        "train": train_command.train,
    }[options.command]
    code = run(options)
    if code == 0 and options.command == "demo" and options.open:
        return open_window([str(options.output)])
    return code


def _window_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="braggscope", formatter_class=argparse.RawTextHelpFormatter)
    parser.description = (
        "Look at series of diffraction frames: find, fit and compare Bragg peaks.\n"
        f"Without a command it opens the window. Commands: {', '.join(COMMANDS)} (each has --help)."
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="a series: file, file.h5::/path, folder, glob"
    )
    parser.add_argument("--version", action="version", version=f"Braggscope {VERSION}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def command_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(prog="braggscope")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    common.add_argument(
        "--weights", action="append", default=[], metavar="NAME=FILE", help="weights of a network, repeatable"
    )
    common.add_argument(
        "--parameters", type=Path, metavar="FILE.json", help="all parameters, as the window copies them"
    )
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    _add_demo(commands, common)
    _add_info(commands, common)
    _add_peaks(commands, common)
    _add_tracks(commands, common)
    _add_movie(commands, common)
    _add_strain(commands, common)
    _add_phase(commands, common)
    _add_train(commands, common)
    return parser


def _add_demo(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    demo = commands.add_parser("demo", parents=[common], help="write demo data with its truth")
    demo.add_argument("what", choices=("series", "coherent", "strain"))
    demo.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: demo_WHAT.h5")
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--open", action="store_true", help="open it in the window")
    demo.add_argument(
        "--cif", type=Path, metavar="FILE", help="strain: crystal of the wedge instead of silicon"
    )
    demo.add_argument(
        "--zone",
        type=int,
        nargs=3,
        default=(1, 1, 0),
        metavar=("U", "V", "W"),
        help="strain: axis of the wedge",
    )


def _add_info(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    info = commands.add_parser("info", parents=[common], help="what a file is, and what is wrong with it")
    info.add_argument("file", metavar="FILE")
    info.add_argument("--json", action="store_true")


def _add_thresholds(command: argparse.ArgumentParser) -> None:
    command.add_argument("--frame-axis", type=int, metavar="N", help="axis of a stack that counts frames")
    command.add_argument("--frames", metavar="A:B:C", help="0-based, half-open; default all")
    command.add_argument("--minval", type=float, metavar="V", help="default: suggested by the middle frame")
    command.add_argument("--minscore", type=float, metavar="S", help="default: suggested by the middle frame")
    command.add_argument("--detector", choices=("fast", "findpeaks"))
    command.add_argument("--localize", metavar="fit,braggnn,net", help="methods, separated by commas")
    command.add_argument("--mask", metavar="FILE", help="image whose non-zero pixels are bad")


def _add_peaks(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    peaks = commands.add_parser("peaks", parents=[common], help="analyse a whole series")
    peaks.add_argument(
        "files", nargs="+", metavar="FILE",
        help="file, file.h5::/path, folder, quoted glob, @list.txt; several are one series, sorted by name",
    )  # fmt: skip
    _add_thresholds(peaks)
    peaks.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help=".csv .parquet .h5 .cxi .flt"
    )
    peaks.add_argument(
        "--poni", metavar="FILE", help="instrument, PONI or YAML of hexrd: fills q, d, two_theta, azimuth"
    )
    peaks.add_argument("--resume", action="store_true", help="go on where a killed run was")
    peaks.add_argument("--workers", type=int, metavar="N", help="threads or jobs; default: the cores")
    peaks.add_argument("--report", type=Path, metavar="OUT.html", help="a page with figures and settings")
    where = peaks.add_mutually_exclusive_group()
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="dask scheduler: tcp://host:port, or local:N worker processes"
    )
    where.add_argument(
        "--cluster", choices=("slurm", "pbs", "lsf", "sge"), help="start --workers jobs on a batch queue"
    )


def _add_tracks(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    tracks = commands.add_parser("tracks", parents=[common], help="follow peaks through the series")
    tracks.add_argument("peaks", type=Path, metavar="PEAKS", help="a peak table: .csv .parquet .h5")
    tracks.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=".csv .parquet .h5")
    tracks.add_argument("--poni", metavar="FILE", help="geometry, for d and strain; default: of the series")
    tracks.add_argument(
        "--axis", type=Path, metavar="FILE", help="CSV of one value per frame, or frame,value"
    )
    tracks.add_argument("--gap", type=int, default=10, metavar="N", help="frames a track may miss")
    tracks.add_argument("--gate", type=float, default=3.0, metavar="PX", help="largest jump between frames")
    tracks.add_argument(
        "--d0", type=float, metavar="ANGSTROM", help="spacing that strain refers to; default: the first frame"
    )


def _add_movie(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    movie = commands.add_parser("movie", parents=[common], help="overlay movie of a series")
    movie.add_argument("file", metavar="FILE")
    _add_thresholds(movie)
    movie.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="OUT.mp4, OUT.gif, or a folder of PNGs",
    )
    movie.add_argument("--fps", type=float, default=12.0)


def _add_strain(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    strain = commands.add_parser("strain", parents=[common], help="strain maps of a 4D-STEM scan")
    strain.add_argument(
        "file", metavar="FILE",
        help="a 4-D dataset or a series of patterns: HDF5, EMD, MIB, BLO, DM4, npy, raw, folder, glob",
    )  # fmt: skip
    strain.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=".h5 .csv .tif")
    strain.add_argument("--probe", metavar="FILE", help="probe in vacuum; default: from the data")
    strain.add_argument("--probe-region", metavar="R0:R1,C0:C1", help="scan positions in vacuum")
    strain.add_argument("--probe-radius", type=float, metavar="PX", help="of the disks; default: measured")
    strain.add_argument("--region", metavar="R0:R1,C0:C1", help="scan positions to measure; default: all")
    strain.add_argument("--scan-shape", metavar="R,C", help="rows and columns of a series")
    strain.add_argument("--method", choices=("correlation", "lattice", "network"), help="default: network")
    strain.add_argument("--reference", metavar="R0:R1,C0:C1", help="unstrained; default: the median of all")
    strain.add_argument("--frame-axis", type=int, metavar="N", help="axis of the scan that varies slowest")
    strain.add_argument("--raw-shape", metavar="R,C,H,W", help="of a raw binary file")
    strain.add_argument("--raw-dtype", default="uint16", metavar="TYPE", help="uint8, >u2, float32 …")
    strain.add_argument("--mask", metavar="FILE", help="image whose non-zero pixels are bad")
    strain.add_argument("--resume", action="store_true", help="go on where a killed run was")
    strain.add_argument("--workers", type=int, metavar="N", help="threads; default: the cores")


def _add_phase(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    from braggscope.app.spec_options import add_geometry_options  # late: the window needs none of it

    phase = commands.add_parser(
        "phase", parents=[common], help="phase a coherent pattern around a Bragg peak"
    )
    phase.add_argument("file", metavar="FILE", help="a 3-D stack: file, file.h5::/path, folder, glob")
    phase.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=".h5 .nxs .cxi")
    phase.add_argument("--input", choices=("intensity", "amplitude"), help="default: intensity")
    phase.add_argument(
        "--method",
        choices=("network", "network-only", "iterative", "all"),
        help="what finds the object; all: network and iterations, ranked; default: iterative",
    )
    phase.add_argument("--iterations", metavar="TEXT", help="for example 3*(20*ER+180*HIO)+20*ER")
    phase.add_argument("--seed", type=int)
    phase.add_argument("--starts", type=int, metavar="N", help="random starts at low resolution")
    phase.add_argument(
        "--runs", type=int, metavar="N", help="best starts that are run to the end; more give a spread"
    )
    phase.add_argument("--frames", metavar="A:B:C", help="0-based, half-open; default all")
    phase.add_argument("--frame-axis", type=int, metavar="N", help="axis of a stack that counts frames")
    phase.add_argument("--crop", type=int, metavar="N", help="voxels a side around the peak")
    phase.add_argument("--mask", metavar="FILE", help="image whose non-zero pixels are bad")
    phase.add_argument(
        "--saturation", type=float, metavar="COUNTS", help="counts from which on voxels are not used"
    )
    add_geometry_options(phase)


def _add_train(commands: "argparse._SubParsersAction", common: argparse.ArgumentParser) -> None:
    train = commands.add_parser(
        "train",
        parents=[common],
        help="train a network",
        description="Train a network. On a series the weights are written only if they are better on frames"
        " held out for the purpose and no worse on simulated peaks like its own; otherwise one sentence says"
        " so, and the exit code is 1.",
    )
    train.add_argument(
        "what",
        choices=("braggnn", "net", "cdi", "disks", "disks-fcunet"),
        help="BraggNN, the localiser network, coherent imaging, disks of 4D-STEM (U-Net or FCU-Net)",
    )
    train.add_argument("-o", "--output", type=Path, required=True, metavar="WEIGHTS", help=".safetensors")
    train.add_argument(
        "--data",
        metavar="SERIES",
        help="learn from a series, or from patches in BraggNN's published format; disks: from a scan",
    )
    train.add_argument("--frame-axis", type=int, metavar="N", help="axis of a stack that counts frames")
    train.add_argument("--minval", type=float, metavar="V", help="of the series; default: suggested")
    train.add_argument("--minscore", type=float, metavar="S", help="of the series; default: suggested")
    train.add_argument("--base", type=Path, metavar="WEIGHTS", help="weights to start from")
    train.add_argument("--minutes", type=float, default=5.0)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--resume", action="store_true")
    train.set_defaults(detector=None, mask=None, localize=None)  # as the parameters say
