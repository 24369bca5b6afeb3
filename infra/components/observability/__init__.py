"""What is watched, who is told, and what is shown, as data; a topology says what it is made of (`Watched`)."""
