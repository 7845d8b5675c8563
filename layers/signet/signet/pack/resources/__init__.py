"""Files that go into every compliance pack as they are."""
