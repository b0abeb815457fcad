"""What is particular to Galaxea's robots: its SDK generations, fault codes, battery, bring-up."""
