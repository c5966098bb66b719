"""What tests share: instances, clients by each front, and what answers have to look like. No test stands here."""
