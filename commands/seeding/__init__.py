"""Load what `seed/` holds, through the same stations as a citizen, an office and an administrator.

Loading again changes nothing: what is there is left alone, and a demo that is complete is known by its reports.
History is loaded with its dates, and nobody is told of it.

- `files`      reading what `seed/` holds
- `learning`   the classifier, from the phrases
- `registry`   the taxonomy, and the demo's municipalities, zones and rules; `templates` of replies; `people`
- `reports`    the demo's reports, each led to its outcome by its office
- `demo`       all of it
"""
