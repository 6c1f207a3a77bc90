"""Who and where: municipalities, departments, crews, zones, categories, rules, people and their rights."""
