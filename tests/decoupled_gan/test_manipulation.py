"""Arithmetic on codes, judged by judges whose answers are known."""

import torch

from facekit.decoupled_gan import add_expression, replace_expression, transfer


def codes(person, expression):
    return {
        "identity": torch.tensor([[person]]),
        "expression": torch.tensor([[expression]]),
        "noise": torch.zeros(1, 1),
    }


def test_replacing_and_adding_change_the_expression_code_alone():
    source, target = codes(1.0, 2.0), codes(5.0, 7.0)
    replaced, added = replace_expression(target, source), add_expression(target, source)
    assert replaced["identity"] == added["identity"] == 5 and replaced["expression"] == 2 and added["expression"] == 9
    assert target["expression"] == 7


class Points:
    """A "mesh" of two vertices that are the two codes."""

    def sample_codes(self, count, generator):
        return {name: torch.randn(count, 1, generator=generator) for name in ("identity", "expression")}

    def __call__(self, codes):
        return torch.stack([codes["identity"].expand(-1, 3), codes["expression"].expand(-1, 3)], dim=1)


class Judge:
    def __init__(self, vertex):
        self.vertex = vertex

    def same(self, first, second):
        return (first[:, self.vertex] - second[:, self.vertex]).norm(dim=-1) < 0.1


def test_transfer_of_a_decoupled_model_succeeds_and_addition_changes_the_expression():
    measured = transfer(Points(), {"identity": Judge(0), "expression": Judge(1)}, 200)
    assert measured["replaced_person"] == measured["replaced_expression"] == measured["added_person"] == 100
    assert measured["added_expression"] < 30
