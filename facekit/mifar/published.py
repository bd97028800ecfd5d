"""Accuracy (%) as printed in Tables I to III of Behzad and Zhao (2021), with the reference numbers of that paper."""

TABLE_1 = {
    "Zhen et al. [10]": {"subset_1": 84.50},
    "Yang et al. [11]": {"subset_1": 84.80, "subset_2": 80.46, "bosphorus": 77.50},
    "Li et al. [12]": {"subset_1": 86.32, "subset_2": 80.42, "bosphorus": 79.72},
    "Li et al. [20]": {"subset_1": 86.86, "subset_2": 81.33, "bosphorus": 80.00},
    "Oyedotun et al. [21]": {"subset_1": 89.31},
    "MiFaR (Ours)": {"subset_1": 88.53, "subset_2": 82.67, "bosphorus": 78.84},
}
TABLE_2 = {
    "Sandbach et al. [25]": {"accuracy": 64.60},
    "Fang et al. [27]": {"accuracy": 75.82},
    "Xue et al. [41]": {"accuracy": 78.80},
    "Sun et al. [23]": {"accuracy": 83.70},
    "Zhen et al. [42]": {"accuracy": 87.06},
    "Yao et al. [43]": {"accuracy": 87.61},
    "Fang et al. [26]": {"accuracy": 91.00},
    "Li et al. [29]": {"accuracy": 92.22},
    "Ben Amor et al. [24]": {"accuracy": 93.21},
    "Zhen et al. [36], full sequence": {"accuracy": 94.18},
    "Bejaoui et al. [30]": {"accuracy": 94.20},
    "Zhen et al. [36], key frame": {"accuracy": 95.13},
    "Behzad et al. [37]": {"accuracy": 96.50},
    "MiFaR (Ours)": {"accuracy": 95.76},
}
TABLE_3A = {
    "Yao et al. [43]": {"accuracy": 86.59},
    "Danelakis et al. [44]": {"accuracy": 88.56},
    "MiFaR (Ours)": {"accuracy": 87.14},
}
TABLE_3B = {
    "Zhang et al. [35]": {"accuracy": 71.00},
    "Zhen et al. [45]": {"accuracy": 81.70},
    "MiFaR (Ours)": {"accuracy": 79.05},
}
