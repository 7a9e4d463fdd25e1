"""`python -m livemarkets_client` is the program `livemarkets-client`."""

import sys

from livemarkets_client.command import main

sys.exit(main())
