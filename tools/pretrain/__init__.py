"""The recipe of the base model `tinkex/tiny-chat`: corpus, tokenizer, training, export."""
