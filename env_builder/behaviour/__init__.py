"""What went wrong, seen from outside: read off pytest's reports of failures and the source of the tests that failed."""
