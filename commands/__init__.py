"""The other front door: the command line, one file a subject, and the private PostgreSQL cluster it keeps."""
