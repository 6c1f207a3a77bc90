"""`python -m workers`: one worker process."""

from workers.duties import CHORES
from workers.handover_duties import HANDOVER_CHORES
from workers.hook_duties import HOOK_CHORES
from workers.mail_duties import MAIL_CHORES
from workers.notice_duties import NOTICE_CHORES
from workers.run import main

main((*CHORES, *HANDOVER_CHORES, *HOOK_CHORES, *MAIL_CHORES, *NOTICE_CHORES))
