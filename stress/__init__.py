"""The stress guests: one workload in C, for bare metal and as a Linux init.

What they do and print is the contract in README.md beside this file. Nothing here
imports anything of migmodel's.
"""
