"""Engines that turn HTML into PDF."""
