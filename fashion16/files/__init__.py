"""Files written whole, locked and sealed."""
