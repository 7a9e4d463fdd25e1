"""The shipped app with the tuning of a campaign, given as JSON in the environment."""

import os
import sys

import msgspec

import main
from livemarkets.app import Tuning

if __name__ == "__main__":
    sys.exit(main.main([], msgspec.json.decode(os.environ["SOAK_TUNING"], type=Tuning)))
