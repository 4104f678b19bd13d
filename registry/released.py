"""The triggers and functions of a freshly installed database, each with all that makes it what it is.

Of a function a digest, of a trigger its function, type, state and arguments. Written by `python -m tools.released`; a
test compares it with what the migrations make.
"""

# ruff: noqa: E501

TRIGGERS = {
    "audit.checkpoint guard_rows": "audit.refuse() 27 A ",
    "audit.checkpoint guard_truncate": "audit.refuse() 34 A ",
    "audit.event guard_rows": "audit.refuse() 27 A ",
    "audit.event guard_truncate": "audit.refuse() 34 A ",
    "audit.private guard_rows": "audit.refuse() 27 A ",
    "audit.private guard_truncate": "audit.refuse() 34 A ",
    "audit.seal guard_rows": "audit.refuse() 27 A ",
    "audit.seal guard_truncate": "audit.refuse() 34 A ",
    "audit.stream guard_truncate": "audit.refuse() 34 A ",
    "registry.aliases a_capture": "audit.capture() 29 A 616c696173000000",
    "registry.aliases b_track": "registry.track_alias() 29 A ",
    "registry.aliases guard_truncate": "audit.refuse() 34 A ",
    "registry.comments a_capture": "audit.capture() 29 A 636f6d6d656e7400757064617465645f6174007465787400",
    "registry.comments guard_truncate": "audit.refuse() 34 A ",
    "registry.model_version_tags a_capture": "audit.capture() 29 A 6d6f64656c5f76657273696f6e5f746167000000",
    "registry.model_version_tags guard_truncate": "audit.refuse() 34 A ",
    "registry.model_versions a_capture": "audit.capture() 29 A 6d6f64656c5f76657273696f6e00757064617465645f6174006465736372697074696f6e00",
    "registry.model_versions b_track": "registry.track_stage() 29 A ",
    "registry.model_versions guard_truncate": "audit.refuse() 34 A ",
    "registry.principals a_capture": "audit.capture() 29 A 7072696e636970616c00006e616d6500",
    "registry.principals guard_truncate": "audit.refuse() 34 A ",
    "registry.registered_model_tags a_capture": "audit.capture() 29 A 726567697374657265645f6d6f64656c5f746167000000",
    "registry.registered_model_tags guard_truncate": "audit.refuse() 34 A ",
    "registry.registered_models a_capture": "audit.capture() 29 A 726567697374657265645f6d6f64656c00757064617465645f61742c6c6173745f6e756d626572006465736372697074696f6e00",
    "registry.registered_models b_track": "registry.track_name() 21 A ",
    "registry.registered_models guard_truncate": "audit.refuse() 34 A ",
    "registry.tokens a_capture": "audit.capture() 29 A 746f6b656e006c6173745f757365645f61742c646967657374006465736372697074696f6e00",
    "registry.tokens guard_truncate": "audit.refuse() 34 A ",
}

FUNCTIONS = {
    "audit.append(text,text,text,jsonb,jsonb)": "69d0180eac98725d4938add8e0367a5ca6e1ea73988d687051c03a540544e3da",
    "audit.capture()": "08bfd62c1402784347e5bd4883d1d55f3bea306511d6e0d39ff09462b056bb9a",
    "audit.instant(text)": "c43fa802a4a3918977b0b4f30da70c7f65d82afb950d300b498811f13101a802",
    "audit.may_note(text,text)": "dbf9578d6dda441dfce386460a8ee082c94d0ed8f5ad42c70b6c98949c41eb0a",
    "audit.move_head(audit.stream)": "52fa5c47644f3d7340435d416ace8425c45f16fca14d180623b2a7c52dd5b77a",
    "audit.note(text,jsonb)": "0bd50ffbdf8da07d8847288dfcd2ee2a738e74b6442a7bd834b105443555ef76",
    "audit.object_of(text,jsonb)": "be6faccd89c488a45736bb3ad9f3a3f5f7288a9055dcd6ee73418171acde8989",
    "audit.open_stream(text)": "8152686a299ca9126cb4785c388242305f5d4f6c11274024b3339c5c33a1d526",
    "audit.refuse()": "3e9f884148c000305a9594440bd2f746e54ec980767c34e63f6a79aaa16356ce",
    "audit.restore(jsonb)": "6a4b5a2438cf0a1d9c1dc785e43c96ad27aa54553c4883a5c00238d32bda5ed2",
    "audit.salt()": "82fac9380a6805991e9da96eb57a00148a1eb8b2e761e52d52195cbc804843a5",
    "audit.salted(text,bytea)": "1075a56549e501a3c71a8b5e9d4d57309151517267e5e90a6b42133840e22a59",
    "audit.subject_of(text,jsonb)": "768bd268e232b8a4db10cdf9adf1edac1c09829682101d9a4b3be22ca9e2d4e5",
    "audit.to_time(bigint)": "45154531b446c8e834517b2dab744bc528ee6bca53615209ce8e7da63f79b822",
    "audit.verb(text,text,jsonb)": "bf47d361325c5c8250c8a9fe07c40d6b53a2ab1833790e6f7da647a254640b71",
    "audit_guard.command()": "91762ecbdaa7fe7e8b5ddb37866632a89f1a96c8296c52345bc285922b778294",
    "audit_guard.dropped()": "110ca26e2a4ece51a92d8b64b4f765bfb81077602d839798fd5cf38dfb7b9576",
    "audit_guard.is_log(text)": "d0079787dc15443b55ab78a91b32bc87cc995626d4f690a86e4c670b304d19d7",
    "audit_guard.is_whole()": "86e94414af82f1e81af4f2fceb228204ee67b80b34f0a4073d51e7396f2c1d80",
    "audit_guard.refuse(text,text)": "687e0900db4140b4eb7ae2ff10f5ccc7daa20e656c7b5b9981b1a8e92e8d77ad",
    "audit_guard.rewritten()": "2dd7c811443c5775303e8a6f301e220d2c2abb82d27a7ef97cfc83c564f2d2bb",
    "audit_guard.table_of(oid,oid)": "570e7962768d6e17be06ea782c1abc0be06070c6ffe4f9a84a128d8fc6ecd098",
    "audit_guard.tell(text,text[])": "d19d8d6a4a8a6655540fb4e31a8f38d4bb2e07cebb94cfd38a1f479891cee243",
    "registry.lexemes(text)": "095e08ff332084b3360b0bb2eaed28e538e8f210ecd27705b8ec7eb285d08ddb",
    "registry.track_alias()": "6dbcf3b9d67013529a075a02b9d275d691e9a224fbf8c84a7621148f71725736",
    "registry.track_name()": "80a0c764755d9728073785c1279ad3a842c4fbdf76e7dbc2543c35100e69fdce",
    "registry.track_stage()": "0e0dbd99da01c4cb39e2b1bfc3177ee6f13daad6d78d03b44bf534d2e0443888",
}
