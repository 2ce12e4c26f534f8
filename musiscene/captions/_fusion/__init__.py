"""How one brief for a composer is made of what is seen and what is heard."""
