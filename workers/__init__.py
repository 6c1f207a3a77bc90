"""The back office: does the jobs that the city has promised, and the chores that nobody asks for.

    commit of a promise ─► job table ─► consumer ─► one of N threads ─► actor ─┬─► done: the row is deleted
                             ▲  ▲                                             ├─► failed: waits longer each time
                             │  └──────────── back to the queue ◄─────────────┤
                             └─ rerun by hand ◄── dead letter ◄───────────────┘   failed too often, or nobody knows it

- `app`           puts broker, middleware and actors together from the settings
- `broker`        dramatiq's door to the job table; `consumer` takes jobs out of it, `lease` says whose they are
- `failures`      tells what went wrong without a word of what was being worked on
- `dead_letters`  lists, counts and reruns what has failed for good
- `chores`        what is done every so often, by one worker of many
- `run`           one worker process, from start to orderly end

A job may come twice: after a crash, or when the database has been away. So every actor looks again before it acts.
"""
