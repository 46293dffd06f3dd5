"""What `cody-oai-router doctor` concludes from what it saw: one file for each thing that is looked at, all of it pure."""
