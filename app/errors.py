"""Turning exceptions into one sentence for the user."""


def sentence(error: BaseException) -> str:
    """One line that says what is wrong; expected errors already carry it, others are named."""
    from pydantic import ValidationError  # late: the command line gives its help without it

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{first['msg'][:1].lower()}{first['msg'][1:]}".rstrip(".")
        return f"{where} is not valid: {what}." if where else f"{what}."
    text = " ".join(str(error).split())
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be imported for this
        return "The device has not enough memory for this; choose the CPU or a smaller region."
    if isinstance(error, MemoryError) or "can't allocate memory" in text:  # the second: torch's on the CPU
        return "There is not enough memory for this; close other programs or use a smaller region."
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}."
    if not text:
        return f"Something went wrong ({type(error).__name__}); the log has the details."
    return text if text.endswith((".", "!", "?")) else text + "."
