"""How the Coherent workspace looks at a crystal."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class CoherentLook(BaseModel):
    """Part of the session; ``quantity`` and ``frame`` are wishes, what is not known gives way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    show: Literal["data", "object", "both"] = "data"
    quantity: Literal["modulus", "phase", "displacement", "strain"] = "strain"
    frame: Literal["laboratory", "crystal", "measured"] = "laboratory"
