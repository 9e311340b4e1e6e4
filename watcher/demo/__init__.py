"""An offline stand-in for the site: invented papers in the real page formats."""
