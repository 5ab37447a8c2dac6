"""``python -m mmccd.apps.pacs``."""

from mmccd.apps.pacs.run import main

if __name__ == "__main__":
    main()
