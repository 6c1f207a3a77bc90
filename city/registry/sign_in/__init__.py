"""Who somebody is: passwords, second factors, codes by mail, providers of identity, citizens."""
