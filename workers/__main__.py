"""`python -m workers`: one worker process."""

from workers.duties import CHORES
from workers.run import main

main(CHORES)
