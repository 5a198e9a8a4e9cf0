"""Hand a target to atheris. Run by `fuzz`: `python -m tests.reliability.engine TARGET [libFuzzer's options]`."""

# Everything stands below the door: atheris is in no environment but that of `make fuzz`.
if __name__ == "__main__":
    import sys

    import atheris

    with atheris.instrument_imports(include=["lambdasecrets"], exclude=["lambdasecrets.dev"]):
        from tests.reliability.fuzz import TARGETS

    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
