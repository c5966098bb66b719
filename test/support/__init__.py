"""What tests share: instances, clients over each transport, and what answers have to look like. No test stands here."""
