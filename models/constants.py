"""Constants of nature, for modules that must import nothing else."""

HC_KEV_ANGSTROM = 12.398419843320026  # Planck's constant times the speed of light (CODATA 2018, exact)
