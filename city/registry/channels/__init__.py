"""What is reached beyond mail: staff's chats, app IO, outside bodies, hosts in private networks."""
