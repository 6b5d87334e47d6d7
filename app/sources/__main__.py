"""Entry of the reader process: it ends with its parent, also while it imports."""

from braggscope.app.sources.channel import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    from braggscope.app.sources.child import main

    main()
