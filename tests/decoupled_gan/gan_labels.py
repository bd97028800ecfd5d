"""Sheets of which every person shows every expression, with the labels that the linear models ask for."""

from dataclasses import replace

from tests.decoupled_gan.gan_sheets import sheet_dataset


def labelled_sheets(side=6, count=60, people=5):
    data = sheet_dataset(side=side, count=count, people=people, expressions=3)
    return replace(data, label_names={**data.label_names, "expression": ("neutral", "low bump", "high bump")})
