"""More samples than memory holds, in partitions."""
