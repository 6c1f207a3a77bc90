"""What streets are called before their name, how people shorten it, and other words that are written in two ways."""

from __future__ import annotations

from typing import Final


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


KINDS: Final = _listed(
    """
    via viale vicolo vico vicoletto vialetto piazza piazzale piazzetta corso largo larghetto borgo borgata contrada
    strada stradella stradone lungomare lungofiume lungolago lungo lungarno lungotevere lungopo lungadige salita discesa
    scalinata scala rampa rampe galleria traversa passaggio passeggiata percorso parco giardino giardini ponte
    cavalcavia sottopasso sottopassaggio rotonda rondo circonvallazione tangenziale raccordo superstrada
    autostrada spalto bastione bastioni mura riva riviera calle campo campiello fondamenta salizada ramo rio corte
    cortile chiasso chiassuolo clivo erta costa belvedere molo banchina calata darsena porto porta frazione localita
    regione villaggio quartiere rione rioni isola isolato cascina casale masseria podere fondo villa maso prato foro
    sentiero mulattiera tratturo cupa supportico arco androne interrato zona case
    rue avenue boulevard place impasse acces chemin allee allees quai escalier escaliers passage promenade square ruelle
    descente sentier esplanade lacets pont rond route tunnel
    """
)
"""First words of street names, without accents."""

PLAIN_KINDS: Final = frozenset({"via", "viale", "piazza", "piazzale", "corso", "vicolo"})

MORE: Final = _listed("vecchia nuova comunale provinciale statale vicinale privata sparse interna")
"""What may follow, and is of the kind still: `strada comunale`, `via vecchia`, `case sparse`."""

SHORT_KINDS: Final = {
    "v": "via",
    "vle": "viale",
    "vl": "viale",
    "vlo": "vicolo",
    "vic": "vicolo",
    "pza": "piazza",
    "pzza": "piazza",
    "pz": "piazza",
    "p": "piazza",
    "piaz": "piazza",
    "ple": "piazzale",
    "pzle": "piazzale",
    "pta": "piazzetta",
    "ptta": "piazzetta",
    "pzta": "piazzetta",
    "pzetta": "piazzetta",
    "cso": "corso",
    "c": "corso",
    "lgo": "largo",
    "lg": "largo",
    "bgo": "borgo",
    "cda": "contrada",
    "ctr": "contrada",
    "str": "strada",
    "sda": "strada",
    "st": "strada",
    "sc": "strada comunale",
    "sp": "strada provinciale",
    "ss": "strada statale",
    "sv": "strada vicinale",
    "fraz": "frazione",
    "fr": "frazione",
    "loc": "localita",
    "reg": "regione",
    "gall": "galleria",
    "trav": "traversa",
    "circ": "circonvallazione",
    "cne": "circonvallazione",
    "sal": "salita",
    "pass": "passaggio",
    "rot": "rotonda",
    "cs": "case sparse",
    "av": "avenue",
    "ave": "avenue",
    "bd": "boulevard",
    "bld": "boulevard",
    "blvd": "boulevard",
    "pl": "place",
    "ch": "chemin",
}
"""Short forms of the first word, without dots."""

SHORT_WORDS: Final = {
    "flli": "fratelli",
    "fli": "fratelli",
    "gen": "generale",
    "gle": "generale",
    "cap": "capitano",
    "magg": "maggiore",
    "ten": "tenente",
    "col": "colonnello",
    "serg": "sergente",
    "mllo": "maresciallo",
    "card": "cardinale",
    "mons": "monsignor",
    "monsignore": "monsignor",
    "prof": "professor",
    "professore": "professor",
    "dott": "dottor",
    "dr": "dottor",
    "dottore": "dottor",
    "ing": "ingegner",
    "ingegnere": "ingegner",
    "avv": "avvocato",
    "on": "onorevole",
    "sen": "senatore",
    "pres": "presidente",
    "mad": "madonna",
    "mart": "martiri",
    "cav": "cavalier",
    "cavaliere": "cavalier",
    "comm": "commendatore",
    "prov": "provinciale",
    "com": "comunale",
    "stat": "statale",
    "circonv": "circonvallazione",
}
"""Short forms inside a name."""

SAINTS: Final = _listed("s san sant santo santa santi sante ss saint sainte")

SMALL: Final = _listed(
    "a ad al alla alle allo ai agli all d da dal dalla dei del dell della delle degli dello di e ed i il in la le lo"
    " nel nella per su sul sulla un una the de des du les l et"
)
"""Words that tell nothing, and that people leave out."""

NUMERALS: Final = {
    "primo": "1", "prima": "1", "uno": "1", "secondo": "2", "seconda": "2", "due": "2", "terzo": "3", "terza": "3",
    "tre": "3", "quarto": "4", "quarta": "4", "quattro": "4", "quinto": "5", "quinta": "5", "cinque": "5",
    "sesto": "6", "sesta": "6", "sei": "6", "settimo": "7", "settima": "7", "sette": "7", "ottavo": "8", "otto": "8",
    "nono": "9", "nove": "9", "decimo": "10", "dieci": "10", "undici": "11", "dodici": "12", "tredici": "13",
    "quattordici": "14", "quindici": "15", "sedici": "16", "diciassette": "17", "diciotto": "18", "diciannove": "19",
    "venti": "20", "ventuno": "21", "ventidue": "22", "ventitre": "23", "ventiquattro": "24", "venticinque": "25",
    "ventisei": "26", "ventisette": "27", "ventotto": "28", "ventinove": "29", "trenta": "30", "trentuno": "31",
    "cento": "100", "mille": "1000",
}  # fmt: skip
"""Numbers in words: 20, venti and XX are one."""
