"""``python -m quash_service`` is the command ``quash``."""

from quash_service.cli import main

if __name__ == "__main__":
    main()
