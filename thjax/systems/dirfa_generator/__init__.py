"""dirfa's generation network (wu2023): one photograph, action units and head pose -> frames. See README.md."""
